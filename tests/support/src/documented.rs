//! Authorization servers that behave as their vendors document them, for tests that hold the
//! operator against each, byte for byte.

pub mod itflex;
pub mod rd_station;

mod tokens;
