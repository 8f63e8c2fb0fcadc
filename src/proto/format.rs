//! How received bytes become safe or readable text.
