# What a build system needs where files came or went: its rules again, the build, what nobody makes any more.
#
# sh ninja.sh PYTHON RULES SOURCE TARGET
set -e
"$1" "$2" "$3" "$4"
ninja --quiet
ninja -t cleandead > /dev/null
