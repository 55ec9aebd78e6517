# What all Cortex-M4F ports have in common; a port's port.cmake includes it and appends its own.
set(HIL_MACHINE_FLAGS -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16)
set(HIL_OPTIMISATION -O2 -g)
set(HIL_SANITIZERS "")
set(HIL_TFLM_SANITIZERS "")
set(HIL_LINK_LIBRARIES "")
set(HIL_LINK_SCRIPTS ${CMAKE_CURRENT_SOURCE_DIR}/port/${HIL_PORT}/link.ld ${CMAKE_CURRENT_LIST_DIR}/sections.ld)
# No nosys.specs: without a _sbrk, anything that reaches for the heap fails to link.
set(HIL_LINK_FLAGS --specs=nano.specs -nostartfiles "LINKER:--defsym=__hil_stack_bytes=${HIL_STACK_BYTES}")
foreach(script IN LISTS HIL_LINK_SCRIPTS)
  list(APPEND HIL_LINK_FLAGS "-T${script}")
endforeach()
set(HIL_PORT_SOURCES ${CMAKE_CURRENT_LIST_DIR}/startup.cpp ${CMAKE_CURRENT_LIST_DIR}/faults.cpp)
set(HIL_UNIT_TESTS OFF)
