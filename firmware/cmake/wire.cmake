# The CBOR codecs: zcbor generates them from link/link.cddl; its C runtime comes with zcbor's wheel.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
execute_process(
  COMMAND ${Python3_EXECUTABLE} -c "import pathlib, zcbor; print(pathlib.Path(zcbor.__file__).parent.as_posix())"
  OUTPUT_VARIABLE HIL_ZCBOR_DIR OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE hil_zcbor_missing ERROR_QUIET)
if(hil_zcbor_missing)
  message(FATAL_ERROR "zcbor is not installed for ${Python3_EXECUTABLE}.\n"
    "Run: ${Python3_EXECUTABLE} -m pip install zcbor 'cbor2<6', or name another Python with -DPython3_EXECUTABLE=")
endif()

# zcbor lies in the Python environment, wherever that is; the image does not depend on it. CMake follows links itself.
get_filename_component(HIL_ZCBOR_DIR ${HIL_ZCBOR_DIR} REALPATH)
add_compile_options("-ffile-prefix-map=${HIL_ZCBOR_DIR}/=zcbor/")

add_library(hil_zcbor STATIC ${HIL_ZCBOR_DIR}/src/zcbor_common.c ${HIL_ZCBOR_DIR}/src/zcbor_decode.c
                             ${HIL_ZCBOR_DIR}/src/zcbor_encode.c)
target_include_directories(hil_zcbor SYSTEM PUBLIC ${HIL_ZCBOR_DIR}/include)
target_compile_options(hil_zcbor PRIVATE -w ${HIL_SANITIZERS})

# hil_add_codec(LIBRARY NAME FLAGS...): what zcbor generates with FLAGS (types, directions), as files called NAME.
function(hil_add_codec library name)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/generated/wire)
  set(schema ${CMAKE_CURRENT_SOURCE_DIR}/link/link.cddl)
  if("--encode" IN_LIST ARGN)
    set(parts ${name}_decode ${name}_encode)
  else()
    set(parts ${name})
  endif()
  set(sources ${parts})
  set(headers ${parts} ${name}_types)
  list(TRANSFORM sources REPLACE "(.+)" "${folder}/\\1.c")
  list(TRANSFORM headers REPLACE "(.+)" "${folder}/\\1.h")
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(
    OUTPUT ${sources} ${headers} # headers too: whoever includes them is compiled again in the same build
    COMMAND ${Python3_EXECUTABLE} -c "import sys, zcbor; sys.exit(zcbor.main())" code -c ${schema} ${ARGN}
            --output-c ${name}.c --output-h ${name}.h
    DEPENDS ${schema} WORKING_DIRECTORY ${folder} COMMENT "zcbor: link/link.cddl to ${name}" VERBATIM)
  add_library(${library} STATIC ${sources} ${headers})
  target_link_libraries(${library} PUBLIC hil_zcbor)
  target_include_directories(${library} SYSTEM PUBLIC ${folder})
  target_compile_options(${library} PRIVATE -w ${HIL_SANITIZERS})
endfunction()

hil_add_codec(hil_request_codec hil_request --decode -t request)
hil_add_codec(hil_bundle_codec bundle_meta --encode --decode -t bundle-meta bundle-further)
