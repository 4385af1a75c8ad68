//! What the drifting loss is taken on, by name.

use serde::{Deserialize, Serialize};

/// A statistic of the picture, or of the encoders' maps: `means`, or `means@2` for the third map only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Feature {
    pub statistic: Statistic,
    /// Index among all maps of all encoders, in order; every map if left out.
    pub map: Option<usize>,
}

/// How a feature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The whole picture as one vector.
    Pixels,
    /// The picture averaged over squares of that many pixels, as one vector.
    PooledPixels(usize),
    /// Each square patch of that many pixels.
    Patches(usize),
    /// Root mean square of each channel of the picture.
    Rms,
    /// Each location of a map.
    Locations,
    /// Mean over all locations of a map.
    Means,
    /// Standard deviation over all locations of a map.
    Deviations,
    /// Mean over each square of that many locations.
    SquareMeans(usize),
    /// Standard deviation over each square of that many locations.
    SquareDeviations(usize),
    /// A map as one vector.
    Maps,
}

/// Every name.
const NAMES: [(&str, Statistic); 13] = [
    ("pixels", Statistic::Pixels),
    ("pixels2x2", Statistic::PooledPixels(2)),
    ("pixels4x4", Statistic::PooledPixels(4)),
    ("patches4x4", Statistic::Patches(4)),
    ("rms", Statistic::Rms),
    ("locations", Statistic::Locations),
    ("means", Statistic::Means),
    ("deviations", Statistic::Deviations),
    ("means2x2", Statistic::SquareMeans(2)),
    ("deviations2x2", Statistic::SquareDeviations(2)),
    ("means4x4", Statistic::SquareMeans(4)),
    ("deviations4x4", Statistic::SquareDeviations(4)),
    ("maps", Statistic::Maps),
];

impl Feature {
    /// Whether it needs an encoder.
    pub fn encoded(self) -> bool {
        use Statistic::{Patches, Pixels, PooledPixels, Rms};
        !matches!(self.statistic, Pixels | PooledPixels(_) | Patches(_) | Rms)
    }
}

impl TryFrom<String> for Feature {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (name, map) = match text.split_once('@') {
            Some((name, map)) => {
                (name, Some(map.parse().map_err(|_| format!("feature `{text}`: write the map's index after @"))?))
            }
            None => (text.as_str(), None),
        };
        let found = NAMES.iter().find(|(known, _)| *known == name);
        let Some(&(_, statistic)) = found else {
            let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            return Err(format!("feature `{name}` is not known; there are {}", known.join(", ")));
        };
        let feature = Self { statistic, map };
        if map.is_some() && !feature.encoded() {
            return Err(format!("feature `{text}` is of the picture; leave out @ and what follows"));
        }
        Ok(feature)
    }
}

impl From<Feature> for String {
    fn from(Feature { statistic, map }: Feature) -> Self {
        let name = NAMES.iter().find(|(_, known)| *known == statistic).map_or("", |(name, _)| name);
        map.map_or_else(|| name.into(), |map| format!("{name}@{map}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip_and_mistakes_are_named() -> Result<(), String> {
        for name in ["pixels", "means", "deviations2x2@3", "maps@0"] {
            assert_eq!(String::from(Feature::try_from(name.to_owned())?), name);
        }
        for (name, expected) in [("mean", "mean"), ("means@x", "index"), ("pixels@1", "picture")] {
            let error = Feature::try_from(name.to_owned()).expect_err(name);
            assert!(error.contains(expected), "{error}");
        }
        Ok(())
    }
}
