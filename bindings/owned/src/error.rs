//! What can be wrong with a file or a request.

use std::fmt;

use driftlet_runtime::{ParseError, StartError};

/// Why a file is no generator, or a request cannot be met.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not valid.
    #[error(transparent)]
    File(#[from] ParseError),
    /// The file holds something else, or the environment asks for kernels that are not there.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The weights' checksum is wrong.
    #[error("the weights are damaged (checksum); fetch or quantize the file again")]
    TornWeights,
    /// The model makes latents.
    #[error("the model makes latents, no pictures; quantize it together with a decoder")]
    NoPictures,
    /// A class that the model does not have.
    #[error("class {given} does not exist: {}", known(*classes))]
    NoSuchClass {
        /// The class asked for.
        given: u32,
        /// Number of classes of the model.
        classes: u32,
    },
    /// Guidance that the model was not trained on.
    #[error(
        "guidance {} lies outside {} to {}, which the model was trained on",
        Decimal(*given),
        Decimal(*weakest),
        Decimal(*strongest)
    )]
    Guidance {
        /// The strength asked for.
        given: f32,
        /// The model's least.
        weakest: f32,
        /// The model's largest.
        strongest: f32,
    },
    /// A place that is not on the way between two seeds.
    #[error("position {} lies outside 0 to 1", Decimal(*.0))]
    Position(f32),
    /// Memory of the wrong length for a picture.
    #[error("a picture has {expected} bytes, but there is room for {given}")]
    Length {
        /// Bytes of a picture.
        expected: usize,
        /// Bytes given.
        given: usize,
    },
}

fn known(classes: u32) -> String {
    match classes {
        0 => "the model takes no class, only 0 stands for that".into(),
        n => format!("the model has classes 0 to {}", n - 1),
    }
}

/// A number with up to three places. The standard way to write floats takes nine kilobytes of a compressed WebAssembly module.
struct Decimal(f32);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.0.is_nan() {
            return f.write_str("NaN");
        }
        // The cast saturates.
        let thousandths = (self.0 * 1000.0).round() as i64;
        let (sign, size) = (if thousandths < 0 { "-" } else { "" }, thousandths.unsigned_abs());
        write!(f, "{sign}{}", size / 1000)?;
        match size % 1000 {
            0 => Ok(()),
            places if places % 100 == 0 => write!(f, ".{}", places / 100),
            places if places % 10 == 0 => write!(f, ".{:02}", places / 10),
            places => write!(f, ".{places:03}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn numbers_are_written_in_short() {
        let text = |number: f32| Decimal(number).to_string();
        assert_eq!([1.0, 0.5, -0.25, 4.0625, 9.005].map(text), ["1", "0.5", "-0.25", "4.063", "9.005"]);
        assert_eq!([0.0, f32::NAN].map(text), ["0", "NaN"]);
        assert!(text(f32::INFINITY).len() > 10 && text(f32::NEG_INFINITY).starts_with('-'));
    }
}
