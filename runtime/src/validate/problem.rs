//! What is wrong with a record, in words if there is room for them.

/// A text, or without the feature `messages` nothing: then none is linked.
#[derive(Clone, Copy)]
pub struct Problem(#[cfg(feature = "messages")] &'static str);

impl From<&'static str> for Problem {
    #[cfg(feature = "messages")]
    fn from(text: &'static str) -> Self {
        Self(text)
    }

    #[cfg(not(feature = "messages"))]
    #[inline(always)]
    fn from(_: &'static str) -> Self {
        Self()
    }
}

impl Problem {
    /// The text, or where to find it.
    #[cfg(feature = "messages")]
    pub fn text(self) -> &'static str {
        self.0
    }

    /// The text, or where to find it.
    #[cfg(not(feature = "messages"))]
    pub fn text(self) -> &'static str {
        "not as it should be; `driftlet inspect` says what is wrong"
    }
}
