# The same firmware as a Linux program under the sanitizers. Not position-independent: symbols keep the board's addresses.
set(HIL_MACHINE_FLAGS -fno-pie)
set(HIL_OPTIMISATION -O1 -g -fno-omit-frame-pointer)
set(HIL_SANITIZERS -fsanitize=address,undefined -fno-sanitize-recover=all)
set(HIL_TFLM_SANITIZERS ${HIL_SANITIZERS})
set(HIL_ARENA_BYTES 524288) # pointers are 8 bytes here
set(HIL_LINK_LIBRARIES pthread)
set(HIL_LINK_FLAGS -no-pie "LINKER:-T,${CMAKE_CURRENT_LIST_DIR}/shared.ld")
set(HIL_LINK_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/shared.ld)
set(HIL_PORT_SOURCES ${CMAKE_CURRENT_LIST_DIR}/port.cpp ${CMAKE_CURRENT_LIST_DIR}/faults.cpp)
set(HIL_UNIT_TESTS ON)
