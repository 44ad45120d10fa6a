//! Capture files as a whole: the third-party ones, and those built here octet by octet.
#![cfg(test)]

mod building;
mod corpus;
mod formats;
mod fragments;
mod link_layers;
mod robustness;
mod round_trip;
