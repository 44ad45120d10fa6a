//! Capture files as a whole: those of the corpus, and those built here octet by octet.
#![cfg(test)]

mod building;
mod corpus;
mod formats;
mod fragments;
mod link_layers;
mod robustness;
mod round_trip;
