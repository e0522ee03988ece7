# whet_room(NAME USES ROOM...): the code of src/NAME as one object library. Object libraries, because a static library
# drops the registrars by which rewards, tasks and commands make themselves known.
function(whet_room name)
  cmake_parse_arguments(room "" "" "USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/src/app/main.cpp)
  if(NOT sources)
    set(sources ${CMAKE_SOURCE_DIR}/cmake/empty.cpp)
  endif()
  add_library(whet_${name} OBJECT ${sources})
  target_include_directories(whet_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  # The JSON library alone costs a file two seconds; it is compiled once, in base.
  if(name STREQUAL base)
    target_precompile_headers(whet_base PRIVATE <fmt/format.h> <fmt/ranges.h> <nlohmann/json.hpp> <string> <vector>)
  else()
    target_precompile_headers(whet_${name} REUSE_FROM whet_base)
  endif()
  target_link_libraries(whet_${name} PRIVATE whet_warnings)
  foreach(used IN LISTS room_USES)
    target_link_libraries(whet_${name} PUBLIC whet_${used})
  endforeach()
  set_property(TARGET whet_${name} PROPERTY WHET_USES ${room_USES})
endfunction()

# Links a room and every room that it uses into a program or library. Each is named directly, because CMake takes the
# objects of an object library only where it is linked by name.
function(whet_link_rooms target room)
  get_target_property(rooms whet_${room} WHET_USES)
  foreach(name IN LISTS rooms ITEMS ${room})
    target_link_libraries(${target} PRIVATE whet_${name})
  endforeach()
  target_link_libraries(${target} PRIVATE Threads::Threads)
endfunction()

# Makes each file of a folder available to C++ as bytes: report/assets.h declares them by file name.
function(whet_embed_assets target folder)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*)
  set(output ${CMAKE_BINARY_DIR}/generated/assets.cpp)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} "-DFILES=${files}" -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${files} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
