"""How the device is reached: RTT rings over target memory, COBS frames, CBOR messages."""
