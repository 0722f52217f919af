//! The decisions: a world in, what should exist out.
