//! Tests of what is not in a file of its own.
