//! Pooling.

/// Mean over all positions of a map.
pub fn global_avg_pool(x: &[f32], out: &mut [f32]) {
    let positions = (x.len() / out.len()) as f32;
    out.fill(0.0);
    for position in x.chunks_exact(out.len()) {
        for (sum, &x) in out.iter_mut().zip(position) {
            *sum += x;
        }
    }
    for sum in out {
        *sum /= positions;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, numbers};

    #[test]
    fn the_mean_over_positions() {
        let x = numbers(1, 300 * 7);
        let mut out = vec![f32::NAN; 7];
        global_avg_pool(&x, &mut out);
        let mean = |c: usize| x.iter().skip(c).step_by(7).map(|&x| f64::from(x)).sum::<f64>() / 300.0;
        assert_close(&out, &(0..7).map(mean).collect::<Vec<_>>(), 1e-6);
    }
}
