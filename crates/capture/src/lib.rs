//! Capture files to UDP datagrams and back.
