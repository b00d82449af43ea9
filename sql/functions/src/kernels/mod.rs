//! The kernels, one module per family of types, each a table of (C function name, code, can it fail).

mod macros;

mod aggregates;
mod arrays;
mod bits;
mod booleans;
mod bytea;
mod casts;
mod comparison;
mod dates;
mod enums;
mod float_states;
mod floats;
mod geometry;
mod integers;
pub(crate) mod json;
mod like;
mod listings;
mod math;
mod md5;
mod network;
mod numerics;
mod partitions;
mod patterns;
mod regex_syntax;
mod send;
mod sequences;
mod session;
mod text;
mod text_format;
mod timetz;
mod to_char;
mod unicode;
mod window;
mod words;

use crate::Kernel;

/// Ties a kernel to the catalog rows with its source name.
pub(crate) struct Binding {
    /// `prosrc`, or `name(argument types)` for SQL functions and aggregates.
    pub source: &'static str,
    pub kernel: Kernel,
    pub fallible: bool,
}

/// Every binding.
pub(crate) fn all() -> impl Iterator<Item = &'static Binding> {
    [
        aggregates::KERNELS,
        arrays::KERNELS,
        bits::KERNELS,
        booleans::KERNELS,
        bytea::KERNELS,
        casts::KERNELS,
        comparison::KERNELS,
        dates::KERNELS,
        float_states::KERNELS,
        floats::KERNELS,
        to_char::KERNELS,
        integers::KERNELS,
        enums::KERNELS,
        like::KERNELS,
        listings::KERNELS,
        math::KERNELS,
        geometry::KERNELS,
        network::KERNELS,
        numerics::KERNELS,
        partitions::KERNELS,
        patterns::KERNELS,
        send::KERNELS,
        sequences::KERNELS,
        session::KERNELS,
        text::KERNELS,
        text_format::KERNELS,
        timetz::KERNELS,
        unicode::KERNELS,
        window::KERNELS,
        words::KERNELS,
    ]
    .into_iter()
    .chain(json::tables())
    .flatten()
}
