# Libraries from the distribution. scripts/setup installs them; each failure here names the package to install.
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(simdjson REQUIRED IMPORTED_TARGET simdjson)
pkg_check_modules(gmp REQUIRED IMPORTED_TARGET gmpxx)
pkg_check_modules(nettle REQUIRED IMPORTED_TARGET nettle)

# Header-only use of toml++ does not depend on how the distribution packages its compiled form.
find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)
add_library(tomlplusplus::tomlplusplus INTERFACE IMPORTED)
target_include_directories(tomlplusplus::tomlplusplus INTERFACE ${TOMLPLUSPLUS_INCLUDE_DIR})
target_compile_definitions(tomlplusplus::tomlplusplus INTERFACE TOML_HEADER_ONLY=1)

add_library(whet_warnings INTERFACE)
target_compile_options(whet_warnings INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor
  # GCC 12 warns of impossible overlaps in std::string, and of fields that designated initialisers leave at their defaults.
  -Wno-restrict -Wno-stringop-overflow -Wno-missing-field-initializers)
