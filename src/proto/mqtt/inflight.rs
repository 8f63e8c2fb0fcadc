//! The packet identifiers and the QoS 1 and 2 PUBLISHes that wait for their acknowledgements.
