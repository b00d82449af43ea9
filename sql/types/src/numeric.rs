//! numeric: an exact decimal with its display scale.

use num_bigint::BigInt;

/// A numeric value.
#[derive(Clone, Debug, PartialEq)]
pub enum Numeric {
    /// NaN
    NaN,
    /// Infinity
    Infinity,
    /// -Infinity
    NegInfinity,
    /// `unscaled * 10^-scale`, printed with `scale` fraction digits (0..=16383).
    Finite {
        /// Digits as an integer.
        unscaled: BigInt,
        /// Display scale.
        scale: u16,
    },
}
