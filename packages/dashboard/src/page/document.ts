export const html = '<!doctype html><title>Sluice</title>'
export const scriptHash = 'sha256-'
export const styleHash = 'sha256-'
