//! math.

use super::macros::kernels;

kernels! {}
