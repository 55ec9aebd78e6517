# Writes what lists the operators of our own (kernel.h and engine_2020.cpp read it): a line for each constant
# `const Kernel NAME` of tflm/kernels. cmake -DFOLDER=tflm/kernels -DOUT=own_operators.inc -P own_operators.cmake
file(GLOB sources ${FOLDER}/*.cpp)
set(names "")
foreach(source IN LISTS sources)
  file(STRINGS ${source} lines REGEX "^const Kernel [A-Z0-9_]+ = ")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^const Kernel ([A-Z0-9_]+) = .*" "\\1" name "${line}")
    list(APPEND names ${name})
  endforeach()
endforeach()
list(SORT names)
set(text "")
foreach(name IN LISTS names)
  string(APPEND text "HIL_KERNEL(${name})\n")
endforeach()
# Left alone when nothing changed, so that nothing is compiled again.
file(CONFIGURE OUTPUT ${OUT} CONTENT "${text}" @ONLY)
