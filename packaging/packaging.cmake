# What `make install` puts where, and the packages that CPack makes of it: mdmd and mdm-sim, each as .deb and .rpm.
# scripts/package is the way to call it.
find_program(MDMD_CMARK_PROGRAM cmark REQUIRED)

if(DEFINED ENV{SOURCE_DATE_EPOCH})
  set(epoch $ENV{SOURCE_DATE_EPOCH})
else()
  execute_process(COMMAND git log -1 --format=%ct WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    OUTPUT_VARIABLE epoch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
set(MDMD_EPOCH "${epoch}" CACHE INTERNAL "Seconds since 1970 that packages are dated by")
set(MDMD_PACKAGER "mdmd maintainers <maintainers@mdmd.example.org>" CACHE STRING "Who answers for the packages")
set(here ${PROJECT_SOURCE_DIR}/packaging)
set(made ${PROJECT_BINARY_DIR}/packaging)
file(MAKE_DIRECTORY ${made})

# Man pages, made of the documents.
set(pages)
function(mdmd_man_page component name section line document)
  add_custom_command(OUTPUT ${made}/${name}.${section}.gz
    COMMAND ${CMAKE_COMMAND} -E env SOURCE_DATE_EPOCH=${MDMD_EPOCH} sh -c
      "'${here}/man/page' '${name}' ${section} '${line}' ${PROJECT_VERSION} '${document}' >'${made}/${name}.${section}' && gzip -9nf '${made}/${name}.${section}'"
    DEPENDS ${document} ${here}/man/page VERBATIM)
  set(pages ${pages} ${made}/${name}.${section}.gz PARENT_SCOPE)
  install(FILES ${made}/${name}.${section}.gz DESTINATION share/man/man${section} COMPONENT ${component})
endfunction()
mdmd_man_page(mdmd mdmd 8 "MDM appliance for Windows" ${here}/man/mdmd.8.md)
mdmd_man_page(mdmd mdmctl 8 "operates the MDM appliance" ${here}/man/mdmctl.8.md)
mdmd_man_page(mdmd config.yaml 5 "the configuration of mdmd" ${PROJECT_SOURCE_DIR}/docs/settings.md)
mdmd_man_page(mdmd policies 5 "what mdmd keeps on devices" ${PROJECT_SOURCE_DIR}/docs/policies.md)
mdmd_man_page(mdm-sim mdm-sim 1 "simulated Entra tenant and Windows devices" ${PROJECT_SOURCE_DIR}/docs/simulator.md)
add_custom_target(man ALL DEPENDS ${pages})

# The scripts of both formats share what configures the installation.
file(READ ${here}/configure.sh MDMD_CONFIGURE)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${here}/configure.sh)
configure_file(${here}/rpm/post.in ${made}/rpm/post @ONLY)
string(REGEX REPLACE "\n+$" "" MDMD_CONFIGURE "${MDMD_CONFIGURE}")
string(REPLACE "\n" "\n    " MDMD_CONFIGURE "    ${MDMD_CONFIGURE}")
configure_file(${here}/deb/postinst.in ${made}/deb/postinst @ONLY)
file(COPY ${here}/deb/prerm ${here}/deb/postrm ${here}/deb/conffiles DESTINATION ${made}/deb)
file(CHMOD ${made}/deb/postinst ${made}/deb/prerm ${made}/deb/postrm
  PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
file(CHMOD ${made}/deb/conffiles PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
configure_file(${here}/deb/copyright.in ${made}/copyright COPYONLY)

# The programs.
install(TARGETS mdmd RUNTIME DESTINATION sbin COMPONENT mdmd)
install(TARGETS mdmctl RUNTIME DESTINATION bin COMPONENT mdmd)
install(TARGETS mdm-sim RUNTIME DESTINATION bin COMPONENT mdm-sim)
# What surrounds them.
foreach(unit mdmd.service mdmd.socket mdmd-backup.service mdmd-backup.timer)
  install(FILES ${PROJECT_SOURCE_DIR}/systemd/${unit} DESTINATION lib/systemd/system COMPONENT mdmd)
endforeach()
install(FILES ${here}/mdmd.sysusers DESTINATION lib/sysusers.d RENAME mdmd.conf COMPONENT mdmd)
install(FILES ${here}/mdmd.tmpfiles DESTINATION lib/tmpfiles.d RENAME mdmd.conf COMPONENT mdmd)
install(FILES ${here}/firewalld.xml DESTINATION lib/firewalld/services RENAME mdmd.xml COMPONENT mdmd)
install(FILES ${here}/completion.bash DESTINATION share/bash-completion/completions RENAME mdmctl COMPONENT mdmd)
install(CODE "file(CREATE_LINK mdmctl \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/bash-completion/completions/mdmd\" SYMBOLIC)"
  COMPONENT mdmd)
install(FILES ${here}/completion.bash DESTINATION share/bash-completion/completions RENAME mdm-sim COMPONENT mdm-sim)
install(FILES ${PROJECT_SOURCE_DIR}/config/config.yaml DESTINATION /etc/mdmd COMPONENT mdmd
  PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ)
# Documents.
file(GLOB documents CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/*.md)
install(FILES ${documents} ${PROJECT_SOURCE_DIR}/README.md DESTINATION share/doc/mdmd COMPONENT mdmd)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/config/policies ${PROJECT_SOURCE_DIR}/config/terms.example
  DESTINATION share/doc/mdmd/examples COMPONENT mdmd)
install(FILES ${PROJECT_SOURCE_DIR}/config/config.yaml ${PROJECT_SOURCE_DIR}/systemd/without-socket.conf
  DESTINATION share/doc/mdmd/examples COMPONENT mdmd)
execute_process(COMMAND date -u -R -d @${MDMD_EPOCH} OUTPUT_VARIABLE when OUTPUT_STRIP_TRAILING_WHITESPACE)
foreach(package mdmd mdm-sim)
  file(WRITE ${made}/${package}.changelog.Debian
    "${package} (${PROJECT_VERSION}-1) stable; urgency=medium\n\n  * What changed is in changelog.gz.\n\n -- ${MDMD_PACKAGER}  ${when}\n")
  add_custom_command(OUTPUT ${made}/${package}.changelog.gz ${made}/${package}.changelog.Debian.gz
    COMMAND sh -c "gzip -9nc '${PROJECT_SOURCE_DIR}/CHANGELOG.md' >'${made}/${package}.changelog.gz'"
    COMMAND sh -c "gzip -9nc '${made}/${package}.changelog.Debian' >'${made}/${package}.changelog.Debian.gz'"
    DEPENDS ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${made}/${package}.changelog.Debian VERBATIM)
  add_custom_target(changelog-${package} ALL DEPENDS ${made}/${package}.changelog.gz)
  install(FILES ${made}/${package}.changelog.gz DESTINATION share/doc/${package} RENAME changelog.gz COMPONENT ${package})
  install(FILES ${made}/${package}.changelog.Debian.gz DESTINATION share/doc/${package} RENAME changelog.Debian.gz
    COMPONENT ${package}-debian)
  install(FILES ${made}/copyright DESTINATION share/doc/${package} COMPONENT ${package})
  install(FILES ${here}/deb/${package}.lintian-overrides DESTINATION share/lintian/overrides RENAME ${package}
    COMPONENT ${package}-debian)
endforeach()

set(CPACK_GENERATOR DEB RPM)
set(CPACK_PROJECT_CONFIG_FILE ${here}/cpack.cmake)
set(CPACK_PACKAGE_NAME mdmd)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_VENDOR mdmd)
set(CPACK_PACKAGE_CONTACT ${MDMD_PACKAGER})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
foreach(component mdmd mdm-sim)
  string(TOUPPER ${component} upper)
  set(CPACK_COMPONENT_${upper}_GROUP ${component})
  set(CPACK_COMPONENT_${upper}-DEBIAN_GROUP ${component})
endforeach()
set(CPACK_STRIP_FILES ON)
set(CPACK_SET_DESTDIR OFF)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(about_mdmd "An on-premises MDM appliance for Windows 10 and 11 that works with Entra ID:
Terms of Use, enrollment, management over mutual TLS, policies as files,
compliance rules and their reports to Microsoft Graph.")
set(about_sim "A simulated Entra tenant and simulated Windows devices, to try an appliance
and its policies before any real device meets them.")
set(CPACK_DEBIAN_MDMD_DESCRIPTION "MDM appliance for Windows with Microsoft Entra ID\n${about_mdmd}")
set(CPACK_DEBIAN_MDM-SIM_DESCRIPTION "simulator of an Entra tenant and of Windows devices\n${about_sim}")

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_MDMD_PACKAGE_NAME mdmd)
set(CPACK_DEBIAN_MDMD_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_MDMD_PACKAGE_DEPENDS "systemd (>= 252), ca-certificates")
set(CPACK_DEBIAN_MDMD_PACKAGE_CONTROL_EXTRA
  "${made}/deb/postinst;${made}/deb/prerm;${made}/deb/postrm;${made}/deb/conffiles")
set(CPACK_DEBIAN_MDM-SIM_PACKAGE_NAME mdm-sim)
set(CPACK_DEBIAN_MDM-SIM_PACKAGE_SECTION admin)

set(CPACK_RPM_COMPONENT_INSTALL ON)
set(CPACK_RPM_MAIN_COMPONENT mdmd)
set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_MDM-SIM_PACKAGE_NAME mdm-sim)
set(CPACK_RPM_PACKAGE_RELEASE 1)
set(CPACK_RPM_PACKAGE_RELOCATABLE OFF)
set(CPACK_RPM_PACKAGE_LICENSE "LicenseRef-not-granted")
set(CPACK_RPM_PACKAGE_GROUP "System Environment/Daemons")
set(CPACK_RPM_PACKAGE_URL "https://mdmd.example.org")
set(CPACK_RPM_MDMD_PACKAGE_SUMMARY "MDM appliance for Windows with Microsoft Entra ID")
set(CPACK_RPM_MDM-SIM_PACKAGE_SUMMARY "Simulator of an Entra tenant and of Windows devices")
set(CPACK_RPM_MDMD_PACKAGE_DESCRIPTION ${about_mdmd})
set(CPACK_RPM_MDM-SIM_PACKAGE_DESCRIPTION ${about_sim})
set(CPACK_RPM_MDMD_PACKAGE_REQUIRES "systemd >= 252, ca-certificates")
set(CPACK_RPM_MDMD_USER_FILELIST "%config(noreplace) %verify(not group) %attr(0640,root,root) /etc/mdmd/config.yaml"
  "%dir %verify(not mode group) /etc/mdmd")
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION /etc /usr/sbin /usr/lib/systemd /usr/lib/systemd/system /usr/lib/sysusers.d
  /usr/lib/tmpfiles.d /usr/lib/firewalld /usr/lib/firewalld/services /usr/share/man /usr/share/man/man1
  /usr/share/man/man5 /usr/share/man/man8 /usr/share/doc /usr/share/bash-completion
  /usr/share/bash-completion/completions)
set(CPACK_RPM_MDMD_POST_INSTALL_SCRIPT_FILE ${made}/rpm/post)
set(CPACK_RPM_MDMD_PRE_UNINSTALL_SCRIPT_FILE ${here}/rpm/preun)
set(CPACK_RPM_MDMD_POST_UNINSTALL_SCRIPT_FILE ${here}/rpm/postun)
set(CPACK_RPM_CHANGELOG_FILE ${made}/rpm/changelog)
execute_process(COMMAND env LC_ALL=C date -u -d @${MDMD_EPOCH} "+%a %b %d %Y" OUTPUT_VARIABLE day OUTPUT_STRIP_TRAILING_WHITESPACE)
file(WRITE ${made}/rpm/changelog "* ${day} ${MDMD_PACKAGER} - ${PROJECT_VERSION}-1\n- What changed is in changelog.gz.\n")
set(CPACK_RPM_SPEC_MORE_DEFINE "%define use_source_date_epoch_as_buildtime 1
%define clamp_mtime_to_source_date_epoch 1
%define _buildhost reproducible
%define _build_id_links none
Packager: ${MDMD_PACKAGER}")
include(CPack)
