# Arm MPS2 with the AN386 image: Cortex-M4F, 25 MHz. QEMU models it.
set(HIL_MACHINE_FLAGS -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16)
set(HIL_OPTIMISATION -O2 -g)
set(HIL_SANITIZERS "")
set(HIL_TFLM_SANITIZERS "")
set(HIL_ARENA_BYTES 262144)
set(HIL_LINK_LIBRARIES "")
# No nosys.specs: without a _sbrk, anything that reaches for the heap fails to link.
set(HIL_LINK_FLAGS --specs=nano.specs -nostartfiles "LINKER:-T,${CMAKE_CURRENT_LIST_DIR}/link.ld")
set(HIL_LINK_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/link.ld)
set(HIL_PORT_SOURCES ${CMAKE_CURRENT_LIST_DIR}/port.cpp ${CMAKE_CURRENT_LIST_DIR}/startup.cpp
                     ${CMAKE_CURRENT_LIST_DIR}/faults.cpp)
set(HIL_UNIT_TESTS OFF)
