"""A simulated NUCLEO-F429ZI behind a simulated ST-LINK/V2-1, for the bench path without a bench.

`board.VirtualNucleo` starts it as a process and plugs its probe into pyOCD's view of USB; `machine.Machine` is the
microcontroller alone, in the caller's process.

    board, usb            in the harness: the process, and pyOCD's ST-Link driver in front of it
    server, stlink        in the process: sockets and pty, the probe's firmware
    coresight             debug port, access port, core debug, breakpoints, watchpoints, cycle counter
    machine, emulator     the core's thread over Unicorn, and the exact count of instructions
    core, exceptions, mpu, memory                  what the core is besides its instructions
    devices, stm32f4, systick, serial_line         what it talks to

Modelled as silicon does it: exceptions with priorities, masks, both stacks, floating-point frames and EXC_RETURN;
memory, bus and usage faults with their status and addresses, escalation, lock-up; MPU regions from 1 KB on; sleep,
reset, SysTick, TIM5, halting debug with six breakpoints and four watchpoints, vector catch; the flash controller with
keys, sectors of both banks, parallelism, write protection and its errors; clock enables, the clock tree's switches and
frequencies, over-drive, PD8 as transmitter of USART3, the rate of a byte on the line.

The clock tree is strict. There is no crystal: HSE is ready in bypass only. The PLL's settings stand while it is on, and
what the core runs on cannot be switched off. Where silicon would run outside its limits and fail somehow, the switch
never completes (SWS does not follow SW): a core above 30 MHz for each wait state and one, above 168 MHz without
over-drive or 180 MHz with it, APB1 above 45 MHz, APB2 above 90 MHz. They are looked at when CFGR is written.

Not modelled, so that nothing may rely on it:
* Time. One cycle is one executed instruction: no pipeline, wait states, caches or stalls; an erase, a PLL or a byte on
  the line is done at once. In an IT block an instruction whose condition fails is not counted, and a single step, a
  timer's interrupt or a halt comes after the whole block.
* A sleeping core skips to its next timer interrupt. An interrupt that was held back by a mask comes up to 500
  instructions after the mask is lifted.
* Unprivileged mode, MPU regions below 1 KB and MPU rights over peripherals; the trap for a division by 0 (the result
  is 0), traps for unaligned accesses, a disabled FPU; lazy stacking (registers are stored at once), the event register
  of WFE, the GE flags over a handler that changes them. Writes are never buffered: a bus fault is always precise.
* Peripherals that are not named above (they read 0), DMA, reception on USART3, option bytes and their programming,
  other boot modes, access ports above 0, ITM and SWO.
"""
