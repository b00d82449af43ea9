//! text_format.

use super::macros::kernels;

kernels! {}
