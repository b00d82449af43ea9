//! The real program on free ports, used as its users use it. One test binary, because each one links the whole server.

#![allow(clippy::unwrap_used)] // a test that cannot go on should stop where it is

mod bad_input;
mod bad_peers;
mod cluster;
mod cluster_views;
mod concurrent_index;
mod damage;
mod demo;
mod doors;
mod durability;
mod exposure;
mod full_disk;
mod hot_row;
mod house;
mod idempotency;
mod large_transactions;
mod operations;
mod prepared;
mod reads;
mod refusals;
mod round_trip;
mod scribes;
mod tokio_postgres_client;
mod wire;
