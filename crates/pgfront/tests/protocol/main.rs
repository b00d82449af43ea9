//! The front end over real sockets: what a client sends, byte by byte, and what it gets.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod copy;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod extended;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod remote;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod server;
#[cfg(test)]
mod simple;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod wire;
