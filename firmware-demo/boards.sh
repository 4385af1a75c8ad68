# Sourced by `run` and `costs`: what a board is to the compiler and to QEMU.

# find_board BOARD: sets `target`, `machine` and `beyond`, where the board has memory that no chip of its kind has; fails for a board
# that there is not. QEMU runs one instruction per virtual nanosecond.
find_board() {
  beyond=0x21000000
  case $1 in
    mps2-an386 | mps2-an500) target=thumbv7em-none-eabihf; machine=(qemu-system-arm -M "$1") ;;
    mps3-an547) target=thumbv8m.main-none-eabihf; machine=(qemu-system-arm -M "$1"); beyond=0x28000000 ;;
    rp2040) target=thumbv6m-none-eabi; machine=(qemu-system-arm -M mps2-an385) ;;
    virt) target=riscv32imac-unknown-none-elf; machine=(qemu-system-riscv32 -M virt -bios none); beyond=0x81000000 ;;
    *) return 1 ;;
  esac
  machine+=(-nographic -icount shift=0 -semihosting-config "enable=on,target=native")
}
