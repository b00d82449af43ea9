//! sequences.

use super::macros::kernels;

kernels! {}
