# What the agent is made of, below the folder above this one. The package that `make agent` makes has the same files.
set(HIL_AGENT_SOURCES agent/agent.c agent/reply.c link/cobs.c link/crc32.c link/framing.c link/rtt.c)
# In the package: what zcbor generated, and its runtime.
set(HIL_AGENT_CBOR_SOURCES wire/hil_request.c zcbor/src/zcbor_common.c zcbor/src/zcbor_decode.c zcbor/src/zcbor_encode.c)
