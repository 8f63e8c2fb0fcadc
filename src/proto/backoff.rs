//! When to try again: exponential backoff with full jitter.
