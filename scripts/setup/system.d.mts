/** The one command that installs these programs here, or undefined when this system is not known. */
export declare const commandFor: (missing: ReadonlyArray<string>) => string | undefined
