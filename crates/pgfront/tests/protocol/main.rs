//! The front end over real sockets: what a client sends, byte by byte, and what it gets.

mod bad_input;
mod copy;
mod driver;
mod extended;
mod server;
mod simple;
mod transactions;
mod wire;
