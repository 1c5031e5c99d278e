# Prints the compiler's flags with which code that is compiled for this machine (-march=native) also runs on it.
# GCC 12 loses what a program writes before it configures the tiles of Intel's AMX, which only servers have: llama.cpp
# then ends with an illegal instruction. A machine that announces AMX and does not let it be used ends it likewise.
set -eu
compiler=${CC:-cc}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

cat > "$place/amx.c" <<'SOURCE'
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
  /* 0x1023 asks Linux for the tiles (18), as every program that uses them must. */
  if (syscall(SYS_arch_prctl, 0x1023, 18)) return 1;
  unsigned char config[64] __attribute__((aligned(64))) = {1};
  config[16] = 64;
  config[48] = 16;
  _tile_loadconfig(config);
  _tile_zero(0);
  _tile_release();
  return 0;
}
SOURCE

announced=$(echo | "$compiler" -march=native -dM -E - 2>/dev/null | grep -c __AMX_TILE__ || true)
if [ "$announced" != 0 ] && ! { "$compiler" -O2 -march=native -o "$place/amx" "$place/amx.c" && "$place/amx"; } 2>/dev/null; then
	echo "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
fi
