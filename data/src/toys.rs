//! Distributions in the plane, endless and exact, to see a method at work.

use rand::Rng;

/// A distribution of points, about within `[-1, 1]` in each coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toy {
    /// Uniform on the dark squares of a 4 x 4 board.
    Checkerboard,
    /// A spiral of one and a half turns, slightly blurred.
    SwissRoll,
    /// Eight equal, narrow normal distributions on a circle.
    GaussianMixture,
}

impl Toy {
    /// Every name.
    pub const NAMES: [(&'static str, Toy); 3] = [
        ("checkerboard", Toy::Checkerboard),
        ("swiss-roll", Toy::SwissRoll),
        ("gaussian-mixture", Toy::GaussianMixture),
    ];

    /// A distribution by name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, toy)| *toy)
    }

    /// A random point.
    pub fn sample(self, rng: &mut impl Rng) -> [f32; 2] {
        match self {
            Self::Checkerboard => {
                let column = rng.random_range(0..4);
                let row = 2 * rng.random_range(0..2) + column % 2;
                [column, row].map(|square| (square as f32 + rng.random::<f32>()) / 2.0 - 1.0)
            }
            Self::SwissRoll => {
                // The root spreads points evenly over the area between the turns' radii.
                let turn = (0.1 + 0.9 * rng.random::<f32>()).sqrt();
                let angle = 1.5 * std::f32::consts::TAU * turn;
                blurred([0.95 * turn * angle.cos(), 0.95 * turn * angle.sin()], 0.02, rng)
            }
            Self::GaussianMixture => {
                let angle = rng.random_range(0..8) as f32 * std::f32::consts::TAU / 8.0;
                blurred([0.8 * angle.cos(), 0.8 * angle.sin()], 0.05, rng)
            }
        }
    }
}

/// Adds normal noise (Box and Muller, 1958).
fn blurred([x, y]: [f32; 2], deviation: f32, rng: &mut impl Rng) -> [f32; 2] {
    let radius = deviation * (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
    let angle = std::f32::consts::TAU * rng.random::<f32>();
    [x + radius * angle.cos(), y + radius * angle.sin()]
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn points_lie_where_they_should() {
        let mut rng = StdRng::seed_from_u64(1);
        for (name, toy) in Toy::NAMES {
            let points: Vec<[f32; 2]> = (0..4000).map(|_| toy.sample(&mut rng)).collect();
            assert!(points.iter().flatten().all(|x| x.abs() < 1.3), "{name}");
            for axis in 0..2 {
                let mean = points.iter().map(|p| p[axis]).sum::<f32>() / 4000.0;
                // A spiral has no centre of symmetry.
                let most = if toy == Toy::SwissRoll { 0.4 } else { 0.05 };
                assert!(mean.abs() < most, "{name}: mean {mean}");
            }
            if toy == Toy::Checkerboard {
                let square = |x: f32| ((x + 1.0) * 2.0).floor() as i32;
                assert!(points.iter().all(|p| (square(p[0]) + square(p[1])) % 2 == 0));
            }
            assert_eq!(Toy::named(name), Some(toy));
        }
    }
}
