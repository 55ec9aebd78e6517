# The same firmware as a Linux program under the sanitizers. Not position-independent: symbols keep the board's addresses.
set(HIL_MACHINE_FLAGS -fno-pie)
set(HIL_OPTIMISATION -O1 -g -fno-omit-frame-pointer)
set(HIL_SANITIZERS -fsanitize=address,undefined -fno-sanitize-recover=all)
set(HIL_TFLM_SANITIZERS ${HIL_SANITIZERS})
set(HIL_ARENA_BYTES 524288) # pointers are 8 bytes here
set(HIL_STACK_BYTES 262144)
set(HIL_AGENT_REQUEST_BYTES 40960)
set(HIL_AGENT_REPLY_BYTES 16000)
set(HIL_RTT_UP_BYTES 16384)
set(HIL_RTT_DOWN_BYTES 49152)
set(HIL_PREPARED_BYTES 40960)
set(HIL_LINK_LIBRARIES pthread)
set(HIL_LINK_FLAGS -no-pie "-T${CMAKE_CURRENT_LIST_DIR}/shared.ld")
set(HIL_LINK_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/shared.ld)
set(HIL_PORT_SOURCES ${CMAKE_CURRENT_LIST_DIR}/port.cpp ${CMAKE_CURRENT_LIST_DIR}/faults.cpp
    ${CMAKE_CURRENT_LIST_DIR}/stream.cpp)
set(HIL_UNIT_TESTS ON)
