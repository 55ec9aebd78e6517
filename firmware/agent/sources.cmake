# What the agent is made of, below the folder above this one. The package that `make agent` makes has the same files.
set(HIL_AGENT_SOURCES agent/agent.c agent/reply.c agent/request.c link/cobs.c link/crc32.c link/framing.c link/rtt.c)
