# virt of qemu-system-riscv32.
CROSS := riscv64-unknown-elf-
SPECS := picolibc.specs
CORE := -march=rv32imac -mabi=ilp32 -misa-spec=2.2 -mcmodel=medany
SOURCES := riscv line uart_16550 self_test
CONSTANTS := TARGET='"virt"' UART_BASE=0x10000000u UART_INTERRUPT=10u CLOCK_HZ=1000000000u TIMER_HZ=10000000u TIMER_TIME=0x0200BFF8u \
  TIMER_COMPARE=0x02004000u
FLASH := ORIGIN = 0x80000000, LENGTH = 256K
RAM := ORIGIN = 0x80040000, LENGTH = 64K
