# Prints the flags of a port's core, one a line on standard error: cmake -DHIL_PORT=NAME -P cmake/machine_flags.cmake
include(port/${HIL_PORT}/port.cmake)
foreach(flag IN LISTS HIL_MACHINE_FLAGS)
  message("${flag}")
endforeach()
