# sifive_e of qemu-system-riscv32.
CROSS := riscv64-unknown-elf-
SPECS := picolibc.specs
CORE := -march=rv32imac -mabi=ilp32 -misa-spec=2.2 -mcmodel=medany
SOURCES := riscv line uart_sifive self_test
CONSTANTS := TARGET='"sifive_e"' UART_BASE=0x10013000u UART_INTERRUPT=3u CLOCK_HZ=1000000000u TIMER_HZ=10000000u TIMER_TIME=0x0200BFF8u \
  TIMER_COMPARE=0x02004000u
FLASH := ORIGIN = 0x20400000, LENGTH = 256K
RAM := ORIGIN = 0x80000000, LENGTH = 16K
