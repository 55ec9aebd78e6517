# The CBOR codec: zcbor generates it from link/link.cddl; its C runtime comes with zcbor's wheel.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
execute_process(
  COMMAND ${Python3_EXECUTABLE} -c "import pathlib, zcbor; print(pathlib.Path(zcbor.__file__).parent.as_posix())"
  OUTPUT_VARIABLE HIL_ZCBOR_DIR OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE hil_zcbor_missing ERROR_QUIET)
if(hil_zcbor_missing)
  message(FATAL_ERROR "zcbor is not installed for ${Python3_EXECUTABLE}.\n"
    "Run: ${Python3_EXECUTABLE} -m pip install zcbor 'cbor2<6', or name another Python with -DPython3_EXECUTABLE=")
endif()

set(hil_wire_dir ${CMAKE_CURRENT_BINARY_DIR}/generated/wire)
set(hil_wire_schema ${CMAKE_CURRENT_SOURCE_DIR}/link/link.cddl)
file(MAKE_DIRECTORY ${hil_wire_dir})
add_custom_command(
  OUTPUT ${hil_wire_dir}/wire_decode.c ${hil_wire_dir}/wire_encode.c ${hil_wire_dir}/wire_decode.h
         ${hil_wire_dir}/wire_encode.h ${hil_wire_dir}/wire_types.h
  COMMAND ${Python3_EXECUTABLE} -c "import sys, zcbor; sys.exit(zcbor.main())" code -c ${hil_wire_schema} --encode --decode
          -t request reply bundle-meta bundle-further --output-c wire.c --output-h wire.h
  DEPENDS ${hil_wire_schema}
  WORKING_DIRECTORY ${hil_wire_dir}
  COMMENT "zcbor: link/link.cddl to C" VERBATIM)

add_library(hil_wire STATIC
  ${hil_wire_dir}/wire_decode.c ${hil_wire_dir}/wire_encode.c ${HIL_ZCBOR_DIR}/src/zcbor_common.c
  ${HIL_ZCBOR_DIR}/src/zcbor_decode.c ${HIL_ZCBOR_DIR}/src/zcbor_encode.c)
target_include_directories(hil_wire SYSTEM PUBLIC ${hil_wire_dir} ${HIL_ZCBOR_DIR}/include)
target_compile_options(hil_wire PRIVATE -w ${HIL_SANITIZERS})
