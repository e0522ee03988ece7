# Writes OUTPUT, which defines WHET_REVISION: the commit the source is at, "-dirty" when it has changes. Run at each
# build, so that the manifest of a run names what really ran; the file is touched only when the revision is another.
execute_process(COMMAND git describe --always --dirty --abbrev=40 --exclude=* WORKING_DIRECTORY ${SOURCE}
                OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define WHET_REVISION \"${revision}\"\n" @ONLY)
