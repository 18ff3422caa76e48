"""The window: edge-ttp as a program to open, for people who only want to write (extra `app`).

The server's page in a window of Qt WebEngine, the server itself in a process of its own that may die without taking the
window along, a small window to write into any other program, and a tray icon. Where there is no Qt, or no screen, the
same page in the browser.
"""
