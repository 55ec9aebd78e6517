# Today's TensorFlow Lite Micro, in a library that the user has built: HIL_TFLM_LIBRARY and HIL_TFLM_INCLUDE (lists).
# It is looked at before anything is compiled; what it is goes into the firmware's text.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(tflm_made ${CMAKE_BINARY_DIR}/generated)
execute_process(
  COMMAND ${CMAKE_COMMAND} -E env PYTHONPATH=${HIL_ROOT} ${Python3_EXECUTABLE} -m hil.image.library
          --compiler ${CMAKE_CXX_COMPILER} "--flags=${HIL_MACHINE_FLAGS}" "--include=${HIL_TFLM_INCLUDE}"
          "--library=${HIL_TFLM_LIBRARY}" --rows ${CMAKE_CURRENT_SOURCE_DIR}/upstream_operators.inc --out ${tflm_made}
  RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "The TFLM library does not do; the reason and the next step are in the lines above.")
endif()
include(${tflm_made}/upstream_library.cmake)
set(HIL_KERNELS_TEXT ${HIL_KERNELS_TEXT} PARENT_SCOPE)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${tflm_libraries})

add_library(hil_tflm_headers INTERFACE)
target_compile_definitions(hil_tflm_headers INTERFACE ${tflm_definitions} NDEBUG)
target_include_directories(hil_tflm_headers SYSTEM INTERFACE ${tflm_headers} ${tflm_made})
add_library(hil_tflm INTERFACE)
# Which operators run in an optimised kernel, as symbols for the harness.
target_link_options(hil_tflm INTERFACE ${tflm_link_options})
# Several libraries may need one another.
target_link_libraries(hil_tflm INTERFACE hil_tflm_headers -Wl,--start-group ${tflm_libraries} -Wl,--end-group)
