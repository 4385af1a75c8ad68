# find_package(Driftlet) gives the targets Driftlet::Driftlet (shared) and Driftlet::Static.
get_filename_component(_driftlet_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET Driftlet::Driftlet)
  add_library(Driftlet::Driftlet SHARED IMPORTED)
  set_target_properties(Driftlet::Driftlet PROPERTIES
    IMPORTED_LOCATION "${_driftlet_prefix}/lib/libdriftlet.so"
    IMPORTED_NO_SONAME TRUE
    INTERFACE_INCLUDE_DIRECTORIES "${_driftlet_prefix}/include")
  add_library(Driftlet::Static STATIC IMPORTED)
  set_target_properties(Driftlet::Static PROPERTIES
    IMPORTED_LOCATION "${_driftlet_prefix}/lib/libdriftlet.a"
    INTERFACE_LINK_LIBRARIES "pthread;dl;m"
    INTERFACE_INCLUDE_DIRECTORIES "${_driftlet_prefix}/include")
endif()
unset(_driftlet_prefix)
