// The small dialogs of a call: keys, devices, code.

import { useEffect, useState } from "preact/hooks";
import { t } from "../i18n";
import { listDevices, whenDevicesChange, type Devices } from "../media/devices";
import { Dialog } from "../ui/dialog";
import type { PageConfig } from "../wire/front";
import type { CallController } from "./controller";
import { HumanCode } from "./people";
import { DevicePicker } from "./prejoin";
import type { CallState } from "./state";

const KEYS = [
  ["M", "helpM"], ["V", "helpV"], ["S", "helpS"], ["H", "helpH"], ["P", "helpP"], ["C", "helpC"], ["← ↑ → ↓", "helpArrows"], ["Enter", "helpEnter"], ["?", "helpHelp"], ["Esc", "helpEsc"],
] as const;

export function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={t("helpTitle")} onClose={onClose} testid="help-dialog">
      <dl class="keys">
        {KEYS.map(([key, text]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{t(text)}</dd></div>)}
      </dl>
    </Dialog>
  );
}

export function CodeDialog({ config, state, onClose }: { config: PageConfig; state: CallState; onClose: () => void }) {
  return (
    <Dialog title={t("codeTitle")} onClose={onClose} testid="code-dialog">
      <HumanCode config={config} state={state} large="large" />
      <p>{t("codeWhy")}</p>
    </Dialog>
  );
}

export function DeviceDialog({ call, state, onClose }: { call: CallController; state: CallState; onClose: () => void }) {
  const [devices, setDevices] = useState<Devices>({ cameras: [], microphones: [], speakers: [] });
  useEffect(() => {
    const load = (): void => void listDevices().then(setDevices);
    load();
    return whenDevicesChange(load);
  }, []);
  const chosen = call.devices();
  return (
    <Dialog title={t("devicesTitle")} onClose={onClose} testid="device-dialog">
      <DevicePicker label={t("preCamera")} devices={devices.cameras} value={chosen.camera} test={state.testPicture}
        testLabel={t("preTestPicture")} testid="call-camera"
        onPick={(camera, testPicture) => void call.useDevices({ camera, testPicture })} />
      <DevicePicker label={t("preMicrophone")} devices={devices.microphones} value={chosen.microphone} test={state.testTone}
        testLabel={t("preTestTone")} testid="call-microphone"
        onPick={(microphone, testTone) => void call.useDevices({ microphone, testTone })} />
    </Dialog>
  );
}
