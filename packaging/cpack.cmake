# Lintian's overrides and Debian's changelog are of no use in an .rpm.
set(CPACK_COMPONENTS_ALL mdmd mdm-sim)
if(CPACK_GENERATOR STREQUAL DEB)
  list(APPEND CPACK_COMPONENTS_ALL mdmd-debian mdm-sim-debian)
endif()
