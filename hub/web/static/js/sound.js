// The burst of a high-priority alert: ten pulses, five twice, each a tone with harmonics (IEC 60601-1-8 pattern).

const BASE_HZ = 440;
const HARMONICS = [1, 0.6, 0.45, 0.3, 0.2];
const PULSE_S = 0.14;
const STEPS_S = [0, 0.22, 0.44, 0.8, 1.02]; // a longer pause after the third
const SECOND_GROUP_S = 1.9;
const REPEAT_MS = 8000;

export class Sounder {
  constructor() {
    this.context = null;
    this.lastAt = -Infinity;
    this.bursts = 0;
    const wake = () => this.wake();
    for (const name of ["pointerdown", "keydown"]) window.addEventListener(name, wake, { capture: true });
    this.wake();
  }

  wake() {
    try {
      this.context ??= new AudioContext();
    } catch {
      return; // no audio device: the header goes on saying that there is no sound
    }
    if (this.context.state === "suspended") this.context.resume();
  }

  /** False while the browser does not let this page sound. */
  get mayPlay() {
    return this.context?.state === "running";
  }

  /** Call each round: sounds at once when a high alert is open, and again until it is acknowledged. */
  refresh(hasHigh, now) {
    if (!hasHigh) this.lastAt = -Infinity;
    if (!hasHigh || !this.mayPlay || now - this.lastAt < REPEAT_MS) return;
    this.lastAt = now;
    this.bursts += 1;
    const start = this.context.currentTime + 0.02;
    for (const group of [0, SECOND_GROUP_S]) for (const step of STEPS_S) this.pulse(start + group + step);
  }

  pulse(at) {
    const gain = this.context.createGain();
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(0.16, at + 0.02);
    gain.gain.setValueAtTime(0.16, at + PULSE_S - 0.03);
    gain.gain.linearRampToValueAtTime(0, at + PULSE_S);
    gain.connect(this.context.destination);
    HARMONICS.forEach((level, i) => {
      const tone = this.context.createOscillator();
      const part = this.context.createGain();
      tone.frequency.value = BASE_HZ * (i + 1);
      part.gain.value = level;
      tone.connect(part).connect(gain);
      tone.start(at);
      tone.stop(at + PULSE_S);
    });
  }
}
