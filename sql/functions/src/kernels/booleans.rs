//! bool.

use super::macros::{kernels, pure};

kernels! {
    "booland_statefunc" = pure!(|a: bool, b: bool| -> Bool a && b);
    "boolor_statefunc" = pure!(|a: bool, b: bool| -> Bool a || b);
}
