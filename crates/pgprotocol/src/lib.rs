//! Frontend messages of the PostgreSQL protocol, from bytes. Pure, and apart from the front end so that whoever fuzzes it links no engine.

pub mod decode;
