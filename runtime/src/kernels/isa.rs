//! Instruction sets that kernels are written for, and which of them this processor has.

/// A set of kernels that this processor can run: only its constructors make one, and they look first.
///
/// All give the same bytes for integer models; float models agree to rounding.
///
/// ```
/// use driftlet_runtime::Kernels;
/// assert_eq!(Kernels::named("portable"), Some(Kernels::PORTABLE));
/// assert!(Kernels::available().any(|kernels| kernels == Kernels::best()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels(pub(crate) Isa);

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    Neon,
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    NeonDot,
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    NeonI8mm,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128,
}

/// From the slowest to the fastest.
const ALL: &[Isa] = &[
    Isa::Portable,
    #[cfg(target_arch = "x86_64")]
    Isa::Avx2,
    #[cfg(target_arch = "x86_64")]
    Isa::AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Isa::Avx512,
    #[cfg(target_arch = "x86_64")]
    Isa::Avx512Vnni,
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    Isa::Neon,
    // By executed instructions; no such processor was at hand to time them.
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    Isa::NeonI8mm,
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    Isa::NeonDot,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Isa::Simd128,
];

impl Kernels {
    /// The reference, which every processor can run.
    pub const PORTABLE: Self = Self(Isa::Portable);

    /// The fastest.
    pub fn best() -> Self {
        Self::available().last().unwrap_or(Self::PORTABLE)
    }

    /// What a sampler begins with: the fastest, or with `std` those that the environment variable `DRIFTLET_KERNEL` names;
    /// `None` if it names none of this processor.
    pub fn chosen() -> Option<Self> {
        #[cfg(feature = "std")]
        if let Some(name) = std::env::var_os("DRIFTLET_KERNEL") {
            return Self::named(name.to_str()?);
        }
        Some(Self::best())
    }

    /// The kernels of a name, `None` if there are none or this processor lacks their instructions.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().find(|kernels| kernels.name() == name)
    }

    /// All that this processor can run, from the slowest to the fastest. Without the feature `std`, those whose instructions
    /// the compiler was told to expect.
    pub fn available() -> impl Iterator<Item = Self> {
        ALL.iter().filter(|isa| isa.runs_here()).map(|&isa| Self(isa))
    }

    /// The name, as `driftlet bench` prints it and the environment variable `DRIFTLET_KERNEL` takes it.
    pub fn name(self) -> &'static str {
        match self.0 {
            // The compiler was told of the instructions: a microcontroller has no flash for kernels without them.
            Isa::Portable if cfg!(helium) => "helium",
            Isa::Portable if cfg!(dsp) => "dsp",
            Isa::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => "avx512-vnni",
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Isa::Neon => "neon",
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Isa::NeonDot => "neon-dot",
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Isa::NeonI8mm => "neon-i8mm",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Isa::Simd128 => "simd128",
        }
    }
}

/// Whether the processor has all of some features: it is asked, or without `std` the compiler.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
macro_rules! has {
    ($($feature:tt),*) => {{
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        let there = true $(&& std::arch::is_x86_feature_detected!($feature))*;
        #[cfg(all(feature = "std", target_arch = "aarch64"))]
        let there = true $(&& std::arch::is_aarch64_feature_detected!($feature))*;
        #[cfg(not(feature = "std"))]
        let there = cfg!(all($(target_feature = $feature),*));
        there
    }};
}
#[cfg(all(target_arch = "x86_64", feature = "float"))]
pub(crate) use has;

impl Isa {
    fn runs_here(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => has!("avx2", "fma", "f16c"),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => has!("avx2", "fma", "f16c", "avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => has!("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512dq"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                has!("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vnni")
            }
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::Neon => true,
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::NeonDot => has!("dotprod"),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::NeonI8mm => has!("dotprod", "i8mm"),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Self::Simd128 => true,
        }
    }
}
